"""What the client library and the servers share: it imports neither of them.

The deadline of a call and its request id, the facts that contracts state about methods, JSON and text as the contracts
allow them, shared lookups, and the errors of calls.
"""
