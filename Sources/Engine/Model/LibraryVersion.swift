// Which C libraries this process really runs with, as they say it themselves.
//
// Headers tell what was built against; what is loaded may be newer or older, so everything here asks the library, and
// the one that has no such question (libavro) is known by the name of its file.

import CPostgres
import CSQLite
import CZstd
import Foundation

/// A loaded library and its version.
package struct LibraryVersion: Sendable, Hashable {
    package var name: String
    package var version: String
    /// The file it was loaded from, where the loader can tell.
    package var path: String?

    /// - Parameter symbol: a function of the library, by which its file is found.
    package init(_ name: String, version: String, symbol: String) {
        self.name = name
        self.version = version
        path = Self.file(of: symbol)
    }

    /// Every C library of the engine.
    package static var engine: [LibraryVersion] {
        let postgres = PQlibVersion()
        var avro = LibraryVersion("libavro", version: "", symbol: "avro_strerror")
        avro.version = version(inFileName: avro.path) ?? "unknown"
        return [
            LibraryVersion("librdkafka", version: "\(KafkaVersion.loaded)", symbol: "rd_kafka_version"),
            LibraryVersion("SQLite", version: String(cString: sqlite3_libversion()), symbol: "sqlite3_libversion"),
            LibraryVersion("libpq", version: "\(postgres / 10_000).\(postgres % 10_000)", symbol: "PQlibVersion"),
            avro,
            LibraryVersion("zstd", version: String(cString: ZSTD_versionString()), symbol: "ZSTD_versionString"),
        ]
    }

    /// The file whose mapping into this process holds the function.
    private static func file(of symbol: String) -> String? {
        guard let process = dlopen(nil, RTLD_NOW), let function = dlsym(process, symbol),
            let maps = kernelText("/proc/self/maps")
        else { return nil }
        let address = UInt(bitPattern: function)
        for line in maps.split(separator: "\n") {
            // 7f3a00000000-7f3a00021000 r-xp 00000000 08:01 1234   /usr/lib/libzstd.so.1.5.4
            let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard bounds.count == 2, bounds[0] <= address, address < bounds[1] else { continue }
            return line.firstIndex(of: "/").map { String(line[$0...]) }
        }
        return nil
    }

    /// `/usr/lib/libavro.so.23.0.0` is version 23.0.0.
    package static func version(inFileName path: String?) -> String? {
        guard let range = path?.range(of: ".so.", options: .backwards), let path else { return nil }
        return String(path[range.upperBound...])
    }
}
