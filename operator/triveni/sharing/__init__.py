"""The sharing job: reads the plain model, splits its weights, hands each worker its share, and ends.

It is the only process that ever sees the plain weights. It runs no code of the model file, opens no port and keeps
nothing.
"""
