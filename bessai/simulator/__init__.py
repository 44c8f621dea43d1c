"""A simulated site: SUN2000/LUNA2000 devices as real Modbus TCP servers, and the judge of any gateway on it.

Each device has battery physics (`physics`), an inverter, PV, load and meter around it (`plant`), the vendor's storage
control semantics (`storage_control`) and the vendor's register map (`register_map`). `server` puts it on a socket,
`record` keeps the device's own truth and every write it received, and `control` is the channel by which a test changes
the physics, spoofs a register or injects a fault. Nothing here imports the gateway.
"""
