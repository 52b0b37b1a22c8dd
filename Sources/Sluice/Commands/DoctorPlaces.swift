// What `doctor` finds out about the places on this host: the catalog, the state, the secret, the certificates, and the
// space for them.
//
// It makes nothing: a place that is not there yet is right if its nearest existing folder can be written to.

import Driver
import Engine
import Foundation

struct DoctorPlaces {
    static let scarceBytes: UInt64 = 1 << 30
    static let tooLittleBytes: UInt64 = 64 << 20

    let settings: Settings

    func checks() -> [DoctorCheck] { [catalog(), state()] + space() + [secret()] + tls() }

    /// The jobs' topics, as far as a catalog can be read.
    func knownTopics() -> [String] {
        do {
            let catalog = try ExistingCatalog.open(settings)
            defer { catalog.close() }
            // A job may have its topic written down: the log knows it; before its first batch the setting is all there is.
            let topics = try catalog.jobs().flatMap { job -> [String] in
                let logged = try catalog.positions(job.jobID).map(\.topic)
                return logged.isEmpty ? [job.settings["topic"]].compactMap(\.self) : logged
            }
            return Set(topics).sorted()
        } catch {
            // The catalog's own check says what is wrong with it.
            return []
        }
    }

    private func catalog() -> DoctorCheck {
        let address = settings.text(.catalog)
        let shown = AddressPassword.masked(address)
        if let path = Self.path(address, "sqlite:"), !FileManager.default.fileExists(atPath: path) {
            return Self.writable("catalog", path, found: "\(shown) is not there yet and will be made by the first run")
        }
        do {
            let catalog = try Catalog.open(address: address, access: .readOnly)
            defer { catalog.close() }
            let jobs = try catalog.jobs().count
            let found = "\(shown) fits this build, \(jobs) job\(jobs == 1 ? "" : "s")"
            guard let path = Self.path(address, "sqlite:") else { return .ok("catalog", found) }
            guard access(path, W_OK) == 0 else {
                return .fail("catalog", "\(shown) cannot be written", now: "run as the user that owns it, or chmod it")
            }
            return Self.writable("catalog", path, found: found)
        } catch {
            return .fail("catalog", failure(error))
        }
    }

    private func state() -> DoctorCheck {
        guard let path = Self.path(settings.text(.state), "file:") else {
            return .skip("state", "only file: places can be looked at from here")
        }
        let isThere = FileManager.default.fileExists(atPath: path)
        return Self.writable("state", path + "/.", found: "\(path)\(isThere ? "" : " will be made by the first run")")
    }

    private func space() -> [DoctorCheck] {
        var seen: Set<String> = []
        return [("catalog", settings.text(.catalog), "sqlite:"), ("state", settings.text(.state), "file:")].compactMap {
            name, address, scheme in
            guard let path = Self.path(address, scheme) else { return nil }
            let folder = Self.existingFolder(above: path)
            guard seen.insert(folder).inserted else { return nil }
            var status = statvfs()
            guard statvfs(folder, &status) == 0 else {
                return .skip("disk of \(name)", "\(folder): \(String(cString: strerror(errno)))")
            }
            return Self.space(name, folder: folder, freeBytes: UInt64(status.f_bavail) * UInt64(status.f_frsize))
        }
    }

    static func space(_ name: String, folder: String, freeBytes: UInt64) -> DoctorCheck {
        let detail = "\(freeBytes >> 20) MiB free under \(folder)"
        let now = "free space, or put catalog and state elsewhere with --catalog and --state"
        if freeBytes < tooLittleBytes { return .fail("disk of \(name)", detail, now: now) }
        if freeBytes < scarceBytes { return .warn("disk of \(name)", detail, now: now) }
        return .ok("disk of \(name)", detail)
    }

    private func secret() -> DoctorCheck {
        let named = settings.optionalText(.secretFile)
        let path = named ?? SharedSecret.path(besideCatalog: settings.text(.catalog))
        var status = stat()
        guard stat(path, &status) == 0 else {
            if named == nil { return .ok("secret", "none yet; a driver makes \(path)") }
            return .fail("secret", "\(path) is not there", now: "make it (mode 0600), or leave --secret-file out")
        }
        guard status.st_mode & 0o077 == 0 else {
            return .fail(
                "secret", "\(path) can be read by others (mode \(String(status.st_mode & 0o777, radix: 8)))",
                now: "chmod 600 \(path)")
        }
        guard access(path, R_OK) == 0 else {
            return .fail("secret", "\(path) cannot be read by this user", now: "run as the user that owns it")
        }
        return .ok("secret", "\(path), for its owner only")
    }

    /// Nothing where no file is named; otherwise what a driver or worker with these settings would say at its start.
    private func tls() -> [DoctorCheck] {
        let named = [SettingKey.tlsCert, .tlsKey, .tlsCA].compactMap { key in
            settings.optionalText(key).map { "\(key.name) \($0)" }
        }
        if named.isEmpty { return [] }
        do {
            let files = try TLSFiles(settings)
            let how = files.isMutual ? "both sides prove themselves" : files.server == nil ? "servers are checked" : "servers speak HTTPS"
            return [.ok("TLS", "\(named.joined(separator: ", ")): \(how)")]
        } catch {
            return [.fail("TLS", failure(error))]
        }
    }

    private static func path(_ address: String, _ scheme: String) -> String? {
        address.hasPrefix(scheme) ? String(address.dropFirst(scheme.count)) : nil
    }

    /// Whether the folder of `path`, or the nearest one above it that is there, can be written to.
    private static func writable(_ check: String, _ path: String, found: String) -> DoctorCheck {
        let folder = existingFolder(above: path)
        if access(folder, W_OK | X_OK) == 0 { return .ok(check, found) }
        return .fail(check, "this user may not write to \(folder)", now: "run as its owner, or name another place")
    }

    private static func existingFolder(above path: String) -> String {
        var folder = URL(filePath: path).deletingLastPathComponent().path
        while !FileManager.default.fileExists(atPath: folder), folder != "/", !folder.isEmpty {
            folder = (folder as NSString).deletingLastPathComponent
        }
        return folder.isEmpty ? "." : folder
    }
}
