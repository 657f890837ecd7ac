"""The databases' migrations, one folder per service. They only go forward: expand, migrate, contract."""
