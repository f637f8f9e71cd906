"""The compiler: an architecture to its program. Only what runs inside its subprocess imports TensorFlow.

TensorFlow takes half a gigabyte and seconds to load, so it runs in a process of its own that ends. The result is kept
in a cache under the digest of all that it depends on; whoever uses a program proves it again, cached or not.
"""

from triveni.mpc.compile.driver import COMPILER, CompileError, compile_program

__all__ = ["COMPILER", "CompileError", "compile_program"]
