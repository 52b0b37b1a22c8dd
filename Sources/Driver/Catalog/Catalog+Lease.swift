// The lease in the catalog: the thin shell around `Lease`. The row is locked, the clock read, the answer written, all
// in one transaction, so that of two askers one sees the other's row.

import Engine

extension Catalog {
    /// The customary length of a lease; its holder renews it each second.
    package static let leaseMillis: Int64 = 5000

    /// Takes the lease of a job name, or says who has it and for how long yet.
    package func acquireLease(
        _ name: String, holder: LeaseHolder, leaseMillis: Int64 = Catalog.leaseMillis
    ) throws -> LeaseAnswer {
        try write { database in
            try database.execute(
                "INSERT INTO sluice_leases (name, epoch, until_millis) VALUES ($1, 0, 0) ON CONFLICT (name) DO NOTHING",
                [.text(name)])
            // Locked first, and the clock asked afterwards: waiting for the lock takes time that counts.
            let lease =
                try self.lease(name, locking: true, in: database) ?? Lease(epoch: 0, holder: nil, untilMillis: 0)
            var now = CellReader(try database.execute("SELECT \(clock)").first ?? [], of: "the database's clock")
            let nowMillis = try now.int()
            let life = lease.holder.map { HostProcesses.life(of: $0) } ?? .dead
            let answer = lease.answer(to: holder, nowMillis: nowMillis, holderLife: life)
            guard case .acquired(let epoch) = answer else { return answer }
            try database.execute(
                """
                UPDATE sluice_leases SET epoch = $2, until_millis = $3, holder_id = $4, pid = $5, process_start = $6,
                    pid_namespace = $7, boot_id = $8, host = $9, address = $10 WHERE name = $1
                """,
                [
                    .text(name), .int(epoch), .int(nowMillis + leaseMillis), .text(holder.id), .int(Int64(holder.pid)),
                    .text(holder.processStart), .text(holder.pidNamespace), .text(holder.bootID), .text(holder.host),
                    .text(holder.address),
                ])
            return answer
        }
    }

    /// Holds the lease for another length from now on.
    /// - Returns: false when it is no longer ours: stop writing at once.
    package func renewLease(
        _ name: String, holderID: String, epoch: Epoch, leaseMillis: Int64 = Catalog.leaseMillis
    ) throws -> Bool {
        try renewedLease(name, holderID: holderID, epoch: epoch, leaseMillis: leaseMillis) != nil
    }

    /// Holds the lease for another length from now on, and tells the time by which that counts.
    /// - Returns: the catalog's clock in milliseconds since 1970; nil when the lease is no longer ours.
    package func renewedLease(
        _ name: String, holderID: String, epoch: Epoch, leaseMillis: Int64 = Catalog.leaseMillis
    ) throws -> Int64? {
        try write { database in
            try database.execute(
                """
                UPDATE sluice_leases SET until_millis = \(clock) + $4
                WHERE name = $1 AND holder_id = $2 AND epoch = $3 RETURNING until_millis
                """,
                [.text(name), .text(holderID), .int(epoch), .int(leaseMillis)]
            ).first.map { row in
                var cells = CellReader(row, of: "sluice_leases")
                return try cells.int() - leaseMillis
            }
        }
    }

    /// The catalog's clock in milliseconds since 1970.
    package func clockMillis() throws -> Int64 {
        try read { database in
            var cells = CellReader(try database.execute("SELECT \(clock)").first ?? [], of: "the database's clock")
            return try cells.int()
        }
    }

    /// Gives the lease back, if it is ours; its epoch stays.
    package func releaseLease(_ name: String, holderID: String, epoch: Epoch) throws {
        try write { database in
            try database.execute(
                """
                UPDATE sluice_leases SET holder_id = NULL, until_millis = 0
                WHERE name = $1 AND holder_id = $2 AND epoch = $3
                """,
                [.text(name), .text(holderID), .int(epoch)])
        }
    }

    /// The lease of a job name; nil when nobody ever held it.
    package func lease(_ name: String) throws -> Lease? {
        try read { try lease(name, locking: false, in: $0) }
    }

    /// Fails with `leaseLost` unless `epoch` holds the lease of the job's name, and keeps it so until the transaction
    /// ends: SQLite's transaction is the only writer, PostgreSQL locks the row.
    func requireLease(_ jobID: JobID, _ epoch: Epoch, in database: any SQLDatabase) throws {
        let rows = try database.execute(
            """
            SELECT epoch, holder_id FROM sluice_leases
            WHERE name = (SELECT name FROM sluice_registry WHERE job_id = $1)\(locked(true))
            """,
            [.text(jobID)])
        guard let row = rows.first else {
            throw Failure(
                .leaseLost, "this driver does not hold the job's lease",
                why: "the catalog has no lease for job \(jobID)", now: "start the job again")
        }
        var cells = CellReader(row, of: "sluice_leases")
        let present = try cells.int()
        let holder = try cells.optionalText()
        guard present == epoch, holder != nil else {
            throw Failure(
                .leaseLost, "this driver no longer holds the job's lease; nothing was written",
                why: present == epoch
                    ? "it gave the lease back at epoch \(epoch)"
                    : "it has epoch \(epoch), the lease is at epoch \(present)",
                now: "leave the job to the driver that has it; if there is none, start the job again")
        }
    }

    private func lease(_ name: String, locking: Bool, in database: any SQLDatabase) throws -> Lease? {
        let rows = try database.execute(
            """
            SELECT epoch, until_millis, holder_id, pid, process_start, pid_namespace, boot_id, host, address
            FROM sluice_leases WHERE name = $1\(locked(locking))
            """,
            [.text(name)])
        guard let row = rows.first else { return nil }
        var cells = CellReader(row, of: "sluice_leases")
        var lease = Lease(epoch: try cells.int(), holder: nil, untilMillis: try cells.int())
        guard let id = try cells.optionalText() else { return lease }
        let pid = try cells.int()
        let (start, namespace, bootID) = (try cells.text(), try cells.text(), try cells.text())
        lease.holder = LeaseHolder(
            id: id, pid: Int32(truncatingIfNeeded: pid), bootID: bootID, host: try cells.text(),
            address: try cells.text(), processStart: start, pidNamespace: namespace)
        return lease
    }

    private func locked(_ locking: Bool) -> String { locking && dialect == .postgres ? " FOR UPDATE" : "" }
}
