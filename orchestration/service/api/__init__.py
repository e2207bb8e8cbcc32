"""The contract of the service: each body and each answer is one struct, with its limits.

HTTP reads and writes these, an agent's owner gets them as bytes, and the OpenAPI document is made from them.
"""
