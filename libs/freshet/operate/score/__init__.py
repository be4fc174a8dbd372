"""`freshet score`: how right each model version was, from the predictions and labels on the topics."""
