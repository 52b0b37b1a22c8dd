// What only commands ask that look at a job from outside: how much of what was rejected is kept, and who runs the job.
//
// Neither answer may be built upon: the next moment may change it. A driver decides by `acquireLease`.

import Engine

extension Catalog {
    /// Bad records of the job that are kept with their bytes; fewer than were counted (protocol 11).
    package func quarantinedCount(_ jobID: JobID) throws -> Int64 {
        try read { database in
            let rows = try database.execute(
                "SELECT count(*) FROM sluice_quarantine WHERE job_id = $1", [.text(jobID)])
            guard let row = rows.first else { return 0 }
            var cells = CellReader(row, of: "sluice_quarantine")
            return try cells.int()
        }
    }

    /// Who holds the job's lease now, by the database's clock; nil when it is free, over, or its process is dead.
    package func liveHolder(of name: String) throws -> LeaseHolder? {
        guard let lease = try lease(name), let holder = lease.holder else { return nil }
        let nowMillis = try clockMillis()
        let looker = LeaseHolder.thisProcess(id: "a looker, which never holds a lease", address: "")
        let answer = lease.answer(to: looker, nowMillis: nowMillis, holderLife: HostProcesses.life(of: holder))
        guard case .held(let present, _) = answer else { return nil }
        return present
    }
}
