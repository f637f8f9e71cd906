"""Who is who: names in certificates, a private authority for each SecureModel, and TLS contexts that require both.

An address says nothing here; a certificate says everything. This room holds no share and connects to nobody.
"""
