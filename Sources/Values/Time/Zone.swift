// Time zones: offsets from UTC out of the system's zone data, read by our own code.
//
// A file of `/usr/share/zoneinfo` (RFC 8536) holds the moments at which the offset changes and, in its last line, the rule for
// all years after them. Names are matched whatever their case, as PostgreSQL does; abbreviations (`PST`, `CET`) are fixed
// offsets, from the list that PostgreSQL ships as its default. Both sides of a change: a local time that does not exist or
// exists twice is read as standard time, as PostgreSQL reads it.
//
// Another release of the zone data gives another answer: `dataDigest` tells two of them apart. A zone is read once per process and never
// changes under a running job.

import Glibc
import Synchronization

/// A zone by name.
public final class Zone: Sendable {
    /// As the system's data spell it.
    public let name: String
    /// Seconds since 1970 of each change, ascending.
    private let changes: [Int64]
    /// The offset in seconds east of UTC from that change on; one more than `changes`, the first before all of them.
    private let offsets: [Int64]
    private let rule: ZoneRule?
    public static let utc = Zone(name: "UTC", offset: 0)

    init(name: String, offset: Int64) {
        self.name = name
        changes = []
        offsets = [offset]
        rule = nil
    }

    private init?(name: String, file: [UInt8]) {
        guard let parsed = ZoneFile(file) else { return nil }
        self.name = name
        changes = parsed.changes
        offsets = parsed.offsets
        rule = parsed.rule
    }

    // MARK: by name

    private static let known = Mutex<[String: Zone]>([:])

    /// - Parameter name: an IANA name or an abbreviation, in any case.
    /// - Throws: SQLSTATE 22023 for a name that is neither.
    public static func named(_ name: String) throws(RowFault) -> Zone {
        let key = name.lowercased()
        if let zone = known.withLock({ $0[key] }) { return zone }
        guard let zone = read(key) else { throw .parameter("time zone \"\(name)\" not recognized") }
        known.withLock { $0[key] = zone }
        return zone
    }

    static func abbreviated(_ key: String) -> Zone? { abbreviations[key].map { Zone(name: key.uppercased(), offset: $0 * 60) } }

    private static func read(_ key: String) -> Zone? {
        if let zone = abbreviated(key) { return zone }
        guard let name = files[key], let bytes = contents(root + name) else { return nil }
        return Zone(name: name, file: bytes)
    }

    private static let root = "/usr/share/zoneinfo/"

    /// The names of all zone files, by their lower case.
    private static let files = files(under: root)

    private static func files(under root: String) -> [String: String] {
        var names: [String: String] = [:]
        func walk(_ folder: String) {
            guard let handle = opendir(root + folder) else { return }
            defer { closedir(handle) }
            while let entry = readdir(handle) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                // `posix` and `right` hold the same zones once more, the latter with leap seconds.
                if name.hasPrefix(".") || (folder.isEmpty && (name == "posix" || name == "right")) { continue }
                let path = folder + name
                var status = stat()
                guard stat(root + path, &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR { walk(path + "/") } else { names[path.lowercased()] = path }
            }
        }
        walk("")
        return names
    }

    private static func contents(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = fread(&block, 1, block.count, file)
            if count == 0 { return bytes }
            bytes += block[..<count]
        }
    }

    /// One number for the data of all zones of this machine: machines with another one may give other answers.
    public static let dataDigest = dataDigest(under: root)

    /// - Parameter root: a folder of zone files, with `/` at its end.
    package static func dataDigest(under root: String) -> UInt64 {
        var all: [UInt8] = []
        for (key, name) in files(under: root).sorted(by: { $0.key < $1.key }) {
            guard let bytes = contents(root + name), ZoneFile(bytes) != nil else { continue }
            all += Array(key.utf8)
            withUnsafeBytes(of: Bytes.digest(bytes).littleEndian) { all += Array($0) }
        }
        return Bytes.digest(all)
    }

    /// Minutes east of UTC.
    private static let abbreviations: [String: Int64] = [
        "utc": 0, "gmt": 0, "z": 0, "zulu": 0, "ut": 0, "uct": 0, "wet": 0, "west": 60, "bst": 60, "cet": 60, "met": 60, "cest": 120,
        "eet": 120, "eest": 180, "msk": 180, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480,
        "pdt": -420, "akst": -540, "akdt": -480, "hst": -600, "ast": -240, "adt": -180, "nst": -210, "ndt": -150, "brt": -180, "jst": 540,
        "kst": 540, "ist": 120, "aest": 600, "aedt": 660, "acst": 570, "acdt": 630, "awst": 480, "nzst": 720, "nzdt": 780,
    ]

    // MARK: offsets

    /// Seconds east of UTC at a moment.
    /// - Parameter seconds: since 1970, UTC.
    @inline(__always)
    public func offset(at seconds: Int64) -> Int64 {
        changes.isEmpty && rule == nil ? offsets[0] : offsetInTable(seconds)
    }

    private func offsetInTable(_ seconds: Int64) -> Int64 {
        let index = changesUntil(seconds)
        if index == changes.count, let rule { return rule.offset(at: seconds) }
        return offsets[index]
    }

    /// How many changes are not after a moment.
    private func changesUntil(_ seconds: Int64) -> Int {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The first change after a moment.
    private func change(after seconds: Int64) -> Int64? {
        let index = changesUntil(seconds)
        return index < changes.count ? changes[index] : rule?.change(after: seconds)
    }

    /// Seconds east of UTC at a local time.
    /// - Parameter local: seconds since 1970 as the zone's own clocks count them.
    public func offset(atLocal local: Int64) -> Int64 {
        let start = local - 86_400
        let before = offset(at: start)
        guard let boundary = change(after: start) else { return before }
        let after = offset(at: boundary)
        let (early, late) = (local - before, local - after)
        if early < boundary && late < boundary { return before }
        if early > boundary && late >= boundary { return after }
        // It does not exist: as before the change. It exists twice: as after it. Both are standard time, where the change is one of summer time.
        return early > late ? before : after
    }

    /// A moment in the zone's own clocks.
    package func local(_ micros: Int64) throws(RowFault) -> Int64 {
        try Calendar.timestamp(micros + offset(at: Calendar.floorDivide(micros, Calendar.microsPerSecond)) * Calendar.microsPerSecond)
    }

    /// The moment of a local time.
    package func moment(_ local: Int64) throws(RowFault) -> Int64 {
        try Calendar.timestamp(local - offset(atLocal: Calendar.floorDivide(local, Calendar.microsPerSecond)) * Calendar.microsPerSecond)
    }
}
