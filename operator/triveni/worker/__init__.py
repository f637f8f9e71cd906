"""One party of one epoch: a process that holds one worker's shares and answers requests together with two others.

Two threads. The event loop speaks with clients, with the sharing job, and with the other workers about which requests
have arrived; the engine thread computes, and speaks with the other workers over links of its own. Worker 0 decides
what runs next. Decisions are pure (`state`, `quota`, `admission`, `pairing`, `order`, `plan`); the rest moves bytes.

    front (HTTPS) -> desk -> admission, pairing -> engine -> machine
                      |                              |
                   control (requests arrived)     links (orders, rounds)
"""
