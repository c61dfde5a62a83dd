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
  ],
};
