"""The use case: the records of a resource, to wherever they are wanted."""
