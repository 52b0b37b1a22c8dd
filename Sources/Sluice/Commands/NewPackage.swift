// The files of a package with one job of its own: what `sluice new` writes. Pure: names and texts.
//
// The package is a root package, so it may give the linker a run path: the Kafka client library that sluice's set-up
// installed lies in sluice's own build folder, and a binary built elsewhere does not find it by itself. The job is a
// page that runs as it is on the traffic of `sluice generate ad-events`.

import Engine

package struct NewPackage: Sendable, Equatable {
    package struct File: Sendable, Equatable {
        package var path: String
        package var text: String
    }

    /// `my-job`.
    package let name: String
    /// The folder of sluice's own package.
    package let sluicePath: String

    package init(name: String, sluicePath: String) throws {
        let isRight =
            name.first?.isLetter == true && name.count <= 40 && !name.hasSuffix("-") && !name.contains("--")
            && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
        guard isRight else {
            throw Failure(
                .wrongUsage, "a job cannot be named `\(name)`",
                why: "a name is small letters, digits and single dashes, beginning with a letter, at most 40 of them",
                now: "choose one such as my-job")
        }
        // These would clash with what the package imports.
        guard !["sluice", "engine", "swift", "foundation", "main"].contains(name) else {
            throw Failure(
                .wrongUsage, "a job cannot be named `\(name)`", why: "a module that it uses has that name",
                now: "choose another, such as my-job")
        }
        self.name = name
        self.sluicePath = sluicePath
    }

    /// `MyJob`
    package var typeName: String { name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined() }
    /// `my_job`
    package var tableName: String { name.replacing("-", with: "_") }

    package var files: [File] {
        [
            File(path: "Package.swift", text: manifest),
            File(path: "Sources/\(name)/main.swift", text: main),
            File(path: "Sources/\(name)/\(typeName).swift", text: job),
            File(path: "README.md", text: readme),
            File(path: ".gitignore", text: ".build/\n.sluice/\nads.csv\nkafka.txt\n"),
        ]
    }

    private var quotedPath: String {
        "\"" + sluicePath.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    private var manifest: String {
        """
        // swift-tools-version: 6.2
        import PackageDescription

        /// Where the package `sluice` lies.
        let sluice = \(quotedPath)

        let package = Package(
            name: "\(name)",
            dependencies: [.package(name: "sluice", path: sluice)],
            targets: [
                .executableTarget(
                    name: "\(name)",
                    dependencies: [.product(name: "Sluice", package: "sluice")],
                    // The Kafka client library that sluice's set-up installed.
                    linkerSettings: [.unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", sluice + "/.build/lib"])])
            ]
        )

        """
    }

    private var main: String {
        """
        // A whole `sluice` with one job more: driver, workers and every command are in this binary.

        import Sluice

        SluiceProgram.main(jobs: [\(typeName)()])

        """
    }

    private var job: String {
        """
        // Clicks for each kind of ad and minute of event time.

        import Sluice

        struct \(typeName): StreamingJob {
            let name = "\(name)"
            let summary = "clicks for each kind of ad and minute"
            /// Settings of the job with their defaults: each is a flag, too (--topic).
            let defaults = ["topic": "ad-events", "format": "avro", "lateness": "10s"]

            func define(in job: JobContext) throws {
                let events = try StreamSource.kafka(
                    job.setting("topic"), format: job.format("format"),
                    schema: [Field("ad_type", .text), Field("event_type", .text), Field("event_time", .timestamp)])

                try job.stream(events)
                    .withWatermark("event_time", delay: job.duration("lateness"))
                    .filter(col("event_type") == "click")
                    .groupBy(col("ad_type"), tumble("event_time", .seconds(60)).as("minute"))
                    .agg(count().as("clicks"))
                    .write(to: .table("\(tableName)", key: ["ad_type", "minute"]))
            }
        }

        """
    }

    private var readme: String {
        """
        # \(name)

        A streaming job for sluice. `Sources/\(name)/\(typeName).swift` is the job; the binary is a whole `sluice` with it.

        Build it, and let a Kafka for a try stand in the background:

            swift build -c release
            .build/release/\(name) broker --topic ad-events:4 --bootstrap-file kafka.txt &

        Make some traffic, run the job until it has caught up, and look at what it wrote:

            .build/release/\(name) generate ad-events --bootstrap $(cat kafka.txt) --topic ad-events --events 100000 --format avro --seed 1
            .build/release/\(name) run \(name) --bootstrap $(cat kafka.txt) --workers 2 --until-caught-up
            sqlite3 .sluice/sink.db 'select * from \(tableName) order by minute, ad_type limit 10'

        More to try:

            .build/release/\(name) explain \(name)
            .build/release/\(name) batches \(name)
            .build/release/\(name) audit \(name)
            .build/release/\(name) replay \(name) --batch 1 --local --print
            kill %1

        """
    }
}
