"""order_core: stores the document of every taxi order."""
