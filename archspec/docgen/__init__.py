"""Reference text that is generated from declarations: ops, and what the installed backends support."""
