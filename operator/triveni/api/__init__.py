"""What users write and read: the SecureModel and the requests of the Open Inference Protocol. Types, no decisions."""
