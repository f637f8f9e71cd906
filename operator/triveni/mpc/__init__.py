"""The engine: from a declared architecture to one program for each worker, proved and executed.

    architecture -> lowering -> compile -> passes -> prove -> schedule -> tape -> machine

Every step but ``compile`` needs numpy alone; ``compile`` runs TensorFlow in a process of its own that ends.
"""
