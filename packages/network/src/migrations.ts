/** Our tables in the store's database; see `MigrationSet` there. Published steps never change. */
export const networkMigrations: { readonly name: string; readonly steps: readonly string[] } = {
  name: "network",
  steps: [
    `CREATE TABLE network_networks (
       id TEXT PRIMARY KEY,
       name TEXT NOT NULL UNIQUE,
       driver TEXT NOT NULL,
       -- Decided when the bridge is made for the first time; kept as long as the host's routes allow.
       bridge TEXT,
       -- The bridge's own address with the prefix of its subnet: 172.18.0.1/16.
       place TEXT,
       labels TEXT NOT NULL DEFAULT '{}',
       internal INTEGER NOT NULL DEFAULT 0,
       created INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE network_sandboxes (
       container_id TEXT PRIMARY KEY,
       path TEXT NOT NULL UNIQUE
     ) STRICT;
     CREATE TABLE network_endpoints (
       id TEXT PRIMARY KEY,
       container_id TEXT NOT NULL REFERENCES network_sandboxes (container_id) ON DELETE CASCADE,
       network_id TEXT NOT NULL REFERENCES network_networks (id),
       address INTEGER NOT NULL,
       prefix_length INTEGER NOT NULL,
       gateway INTEGER NOT NULL,
       mac TEXT NOT NULL,
       link TEXT NOT NULL UNIQUE,
       UNIQUE (network_id, address)
     ) STRICT;
     CREATE INDEX network_endpoints_by_container ON network_endpoints (container_id);
     CREATE TABLE network_ports (
       endpoint_id TEXT NOT NULL REFERENCES network_endpoints (id) ON DELETE CASCADE,
       protocol TEXT NOT NULL,
       host_address TEXT NOT NULL,
       host_port INTEGER NOT NULL,
       container_port INTEGER NOT NULL,
       PRIMARY KEY (protocol, host_address, host_port)
     ) STRICT;
     CREATE INDEX network_ports_by_endpoint ON network_ports (endpoint_id);
     CREATE TABLE network_owner (id TEXT NOT NULL) STRICT;`,
    `-- Of networks that users make: pools, options and what else they chose, as JSON.
     ALTER TABLE network_networks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
     -- JSON: whom the container's resolver asks; the host's servers if none.
     ALTER TABLE network_sandboxes ADD COLUMN nameservers TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE network_endpoints ADD COLUMN interface TEXT NOT NULL DEFAULT 'eth0';
     -- In the notation of RFC 5952.
     ALTER TABLE network_endpoints ADD COLUMN ipv6 TEXT;
     ALTER TABLE network_endpoints ADD COLUMN gateway_priority INTEGER NOT NULL DEFAULT 0;
     -- JSON: a list; an object from alias to name.
     ALTER TABLE network_endpoints ADD COLUMN names TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE network_endpoints ADD COLUMN links TEXT NOT NULL DEFAULT '{}';
     -- 0 while an endpoint is added to a running container or taken away: a crash then ends in its removal.
     ALTER TABLE network_endpoints ADD COLUMN ready INTEGER NOT NULL DEFAULT 1;
     CREATE UNIQUE INDEX network_endpoints_by_ipv6 ON network_endpoints (network_id, ipv6);
     CREATE UNIQUE INDEX network_endpoints_by_interface ON network_endpoints (container_id, interface);
     CREATE UNIQUE INDEX network_endpoints_by_network ON network_endpoints (network_id, container_id);`,
    `-- JSON: what few endpoints have.
     ALTER TABLE network_endpoints ADD COLUMN extras TEXT NOT NULL DEFAULT '{}';`,
  ],
};
