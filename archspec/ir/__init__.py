"""What a checked spec is: shapes, expressions, ops, the graph, and the sections around it."""
