"""order_core: keeps the document of every taxi order."""
