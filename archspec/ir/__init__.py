"""The checked spec: shapes, expressions, ops, the graph, and the sections around it."""
