// swift-tools-version: 6.2
import PackageDescription

/// One list for every target, so that no module reads the language differently from its neighbours.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// The distribution's C libraries are the whole supply chain; `scripts/setup` installs them.
func systemLibrary(_ name: String, _ pkgConfig: String, _ apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
    name: "sluice",
    products: [
        .library(name: "Sluice", targets: ["Sluice"]),
        .executable(name: "sluice", targets: ["CLI"]),
    ],
    targets: [
        systemLibrary("CRdKafka", "rdkafka", "librdkafka-dev"),
        systemLibrary("CAvro", "avro-c", "libavro-dev"),
        systemLibrary("CSQLite", "sqlite3", "libsqlite3-dev"),
        systemLibrary("CPostgres", "libpq", "libpq-dev"),
        systemLibrary("CMicroHTTPD", "libmicrohttpd", "libmicrohttpd-dev"),
        systemLibrary("CCurl", "libcurl", "libcurl4-openssl-dev"),
        systemLibrary("CZstd", "libzstd", "libzstd-dev"),
        systemLibrary("CLZ4", "liblz4", "liblz4-dev"),
        systemLibrary("CSnappy", "snappy", "libsnappy-dev"),
        systemLibrary("CZlib", "zlib", "zlib1g-dev"),
        systemLibrary("COpenSSL", "openssl", "libssl-dev"),
        // Headers of our own: what Swift has no word for.
        .systemLibrary(name: "CLinux", path: "Sources/CLinux"),
        systemLibrary("CXXHash", "libxxhash", "libxxhash-dev"),
        systemLibrary("CYaml", "yaml-0.1", "libyaml-dev"),
        systemLibrary("CPGQuery", "libprotobuf-c", "libpg-query-dev"),

        // How messages name what a mistaken name may have meant.
        .target(name: "Wording", swiftSettings: settings),
        // SQL's types, vectors, functions and expressions; knows nothing of jobs, Kafka or files.
        .target(name: "Values", dependencies: ["CXXHash", "Wording"], swiftSettings: settings),
        .target(
            name: "Engine",
            dependencies: [
                "CRdKafka", "CAvro", "CSQLite", "CPostgres", "CZstd", "CXXHash", "CLZ4", "CSnappy", "CZlib", "COpenSSL", "CLinux",
            ],
            swiftSettings: settings),
        .target(name: "SQLSyntax", dependencies: ["CPGQuery", "Wording"], swiftSettings: settings),
        .target(name: "SQLBinding", dependencies: ["SQLSyntax", "Values", "Wording"], swiftSettings: settings),
        // Queries as operators over chunks, their changes as weights; knows nothing of jobs, Kafka or files.
        .target(name: "Dataflow", dependencies: ["SQLBinding", "SQLSyntax", "Values", "CXXHash"], swiftSettings: settings),
        // Records of a topic become chunks of a declared table; knows nothing of Kafka, threads or files.
        .target(name: "Decoding", dependencies: ["Dataflow", "SQLBinding", "SQLSyntax", "Values", "Wording", "CLinux"], swiftSettings: settings),
        .target(name: "Wire", dependencies: ["Engine", "CMicroHTTPD", "CCurl"], swiftSettings: settings),
        .target(name: "Driver", dependencies: ["Engine", "Wire"], swiftSettings: settings),
        .target(name: "Worker", dependencies: ["Engine", "Wire"], swiftSettings: settings),
        .target(name: "Jobs", dependencies: ["Engine"], swiftSettings: settings),
        // Texts of SQL as jobs that driver and workers run: where plans meet topics, blocks, state files and sinks.
        .target(
            name: "SQLJobs", dependencies: ["Engine", "Dataflow", "Decoding", "SQLBinding", "SQLSyntax", "Values"], swiftSettings: settings),
        .target(
            name: "Sluice",
            dependencies: ["Engine", "Wire", "Driver", "Worker", "SQLBinding", "SQLSyntax", "Values", "Dataflow", "Decoding", "SQLJobs", "Wording", "CYaml"],
            swiftSettings: settings),
        .executableTarget(name: "CLI", dependencies: ["Sluice", "Jobs"], swiftSettings: settings),

        .target(
            name: "TestSupport", dependencies: ["Engine"], path: "Tests/TestSupport", swiftSettings: settings),
        .target(
            name: "Fuzzing", dependencies: ["Engine", "SQLSyntax", "SQLBinding", "Values", "Dataflow", "CXXHash", "CZstd"], path: "Tests/Fuzzing", swiftSettings: settings),
        .executableTarget(name: "fuzz", dependencies: ["Fuzzing"], path: "Tests/Fuzz", swiftSettings: settings),
        .target(
            name: "Simulation", dependencies: ["Driver", "Worker", "Engine", "Wire", "Sluice", "Jobs"], path: "Tests/Simulation",
            swiftSettings: settings),
        .executableTarget(name: "simulate", dependencies: ["Simulation"], path: "Tests/Simulate", swiftSettings: settings),
        .testTarget(name: "SimulationTests", dependencies: ["Simulation", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "EngineTests", dependencies: ["Engine", "Jobs", "CAvro", "CLinux", "CXXHash", "CZstd", "Fuzzing", "TestSupport"],
            swiftSettings: settings),
        // The test process's malloc, which counts.
        .target(name: "CAllocations", path: "Tests/CAllocations"),
        .testTarget(
            name: "ValuesTests", dependencies: ["Values", "TestSupport", "Engine", "CAllocations"], exclude: ["known-differences.txt"], swiftSettings: settings),
        .testTarget(
            name: "WorkerTests", dependencies: ["Worker", "Wire", "Engine", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "WireTests", dependencies: ["Wire", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "DriverTests", dependencies: ["Driver", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "SluiceTests", dependencies: ["Sluice", "Jobs", "TestSupport", "Wording"], swiftSettings: settings),
        .executableTarget(name: "jobs-of-tests", dependencies: ["Sluice", "Engine"], path: "Tests/JobsOfTests", swiftSettings: settings),
        .testTarget(name: "ProcessTests", dependencies: ["Engine", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "SQLSyntaxTests", dependencies: ["SQLSyntax", "Engine", "TestSupport"], exclude: ["corpus"], swiftSettings: settings),
        .testTarget(
            name: "SQLBindingTests", dependencies: ["SQLBinding", "SQLSyntax", "Values", "Engine", "TestSupport"], exclude: ["cases"],
            swiftSettings: settings),
        .testTarget(
            name: "DataflowTests", dependencies: ["Dataflow", "SQLBinding", "SQLSyntax", "Values", "Engine", "TestSupport", "CAllocations"], exclude: ["cases"],
            swiftSettings: settings),
        .testTarget(
            name: "DecodingTests", dependencies: ["Decoding", "Dataflow", "SQLBinding", "SQLSyntax", "Values"],
            swiftSettings: settings),
        .testTarget(
            name: "SQLJobsTests", dependencies: ["SQLJobs", "Engine", "Dataflow", "Decoding", "SQLBinding", "SQLSyntax", "Values", "TestSupport"],
            swiftSettings: settings),
        .testTarget(name: "TidyTests", dependencies: ["TestSupport"], swiftSettings: settings),
    ]
)
