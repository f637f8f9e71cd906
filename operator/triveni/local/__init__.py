"""Three workers and a sharing process on this machine: the same code, certificates and quota as on a cluster."""
