-- Roles and databases, applied by orderflow_cli/provision.py for each service in turn (:service is its name)
-- by an administrator. It may run again and again. Passwords are set by the caller and never stand here.
--
-- A service owns its database and opens no other. Its audit role reads that one database and changes nothing.

-- in the administrator's database

DO $$ BEGIN
    CREATE ROLE ":service" LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

DO $$ BEGIN
    CREATE ROLE ":service_audit" LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

ALTER ROLE ":service_audit" SET default_transaction_read_only = on;

-- An administrator who is no superuser must belong to the role that will own the database.
GRANT ":service" TO CURRENT_USER;

-- unless the database is there

CREATE DATABASE ":service" OWNER ":service" ENCODING 'UTF8' TEMPLATE template0;

-- in the service's database

REVOKE ALL ON DATABASE ":service" FROM PUBLIC;
GRANT CONNECT ON DATABASE ":service" TO ":service_audit";

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO ":service";
GRANT USAGE ON SCHEMA public TO ":service_audit";

GRANT SELECT ON ALL TABLES IN SCHEMA public TO ":service_audit";
ALTER DEFAULT PRIVILEGES FOR ROLE ":service" IN SCHEMA public GRANT SELECT ON TABLES TO ":service_audit";
