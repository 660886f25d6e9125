"""One authenticated conversation with an API: retry, pace, error answers, GraphQL, paging."""
