"""A whole stack on one machine: servers, supervisor, seed; also what the tests start their servers with."""
