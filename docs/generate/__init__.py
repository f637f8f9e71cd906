"""The pages of the site that are made from code: `python -m docs.generate` writes them, beside links to the others.

What people write is in docs/*.md and is read as it is. What code knows (fields, options, signatures, values, metrics,
reasons) is in no page by hand, so it cannot drift.
"""
