"""From a request to a stream of outputs: which model, whether there is room, which engine."""
