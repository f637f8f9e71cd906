"""Other systems on the same network, weights and machine, each in a throwaway environment of its own."""
