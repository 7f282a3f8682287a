"""What is looked for in a document before it is indexed. Pure functions: nothing here knows the database."""
