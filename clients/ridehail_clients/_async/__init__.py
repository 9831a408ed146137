"""The clients' definition, in two flavours: `_async` is written by hand, `_sync` generated from it."""
