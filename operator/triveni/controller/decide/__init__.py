"""What happens next with a SecureModel: pure decisions over its spec, its status and what the cluster shows.

Two questions, asked again and again. `record.advance` says whether the recorded status moves on by one step; that is
written down before anything is done. `actions.act` says what to make, end and delete while the status is what it is.
Nothing depends on which event woke the operator, so it may be killed between any two calls to the API server: the next
one asks the same questions about what it finds. Three rules keep the request quota whole:

- the grant of an epoch is recorded (phase Starting) before its first pod is created;
- pods are created in phase Starting only. Later one that is missing has been lost, and the credentials with which the
  model is shared, without which nobody can answer anything, are made only later (phase Sharing), for the sharing job or
  for the owner who asked for them: so no grant is ever used by two sets of workers;
- a charge and the end of its epoch are recorded in one write, on condition that nobody wrote in between.
"""
