"""The commands as they are typed: name, options, help. Each is a file; what it does is in the room's file of that name.

That is imported when the command is called, so that `triveni --help` and completion stay quick.
"""
