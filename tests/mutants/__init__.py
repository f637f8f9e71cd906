"""Mutation evidence: deliberate breakages of the product, and the test that catches each (`make mutants`)."""
