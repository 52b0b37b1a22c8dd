import Foundation
import TestSupport
import Testing

/// What a review should not have to look for.
@Suite struct TidyTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func files(_ folder: String, _ suffix: String) throws -> [(name: String, text: String)] {
        let base = root.appending(path: folder).path
        return try FileManager.default.subpathsOfDirectory(atPath: base).filter { $0.hasSuffix(suffix) }.sorted().map {
            ("\(folder)/\($0)", try String(contentsOfFile: base + "/" + $0, encoding: .utf8))
        }
    }

    @Test func `every source file opens with a comment that a newcomer can read alone`() throws {
        let sources = try Self.files("Sources", ".swift")
        #expect(sources.count > 100)
        for file in sources { #expect(file.text.hasPrefix("//"), "\(file.name) opens without a comment") }
    }

    @Test func `nothing is left open in the code`() throws {
        let marks = ["TO" + "DO", "FIX" + "ME", "fatalError(\"not"]
        for file in try Self.files("Sources", ".swift") + Self.files("Tests", ".swift") {
            for mark in marks { #expect(!file.text.contains(mark), "\(file.name) has \(mark)") }
        }
    }

    @Test func `only the command line prints`() throws {
        for folder in ["Engine", "Wire", "Driver", "Worker", "Jobs"] {
            for file in try Self.files("Sources/" + folder, ".swift") {
                let lines = file.text.split(separator: "\n").filter { $0.trimmingCharacters(in: .whitespaces).hasPrefix("print(") }
                #expect(lines.isEmpty, "\(file.name) prints")
            }
        }
    }

    /// Each look at such a value, also one that only reads, wraps it once more on its way out and in: a structure around
    /// the closure does not.
    @Test func `no closure is a mutex's own value`() throws {
        let closure = /Mutex<[^>]*\)\s*(throws\s*)?->/
        #expect("let body: Mutex<@Sendable (Int) -> Void>".contains(closure))
        for file in try Self.files("Sources", ".swift") + Self.files("Tests", ".swift") where !file.name.hasSuffix("TidyTests.swift") {
            #expect(!file.text.contains(closure), "\(file.name) keeps a closure in a mutex")
        }
    }

    @Test func `every script is executable, strict, and explains itself`() throws {
        for name in ["setup", "build", "test", "lint", "quickstart", "fuzz", "simulate"] {
            let path = Self.root.appending(path: "scripts/" + name).path
            #expect(FileManager.default.isExecutableFile(atPath: path), "\(name)")
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text.contains("set -euo pipefail") && text.contains("usage:"), "\(name)")
        }
    }

    @Test func `the first page is short, names every other page, and every page's commands are run`() throws {
        let readme = try String(contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
        #expect(readme.split(separator: "\n", omittingEmptySubsequences: false).count < 200)
        let script = try String(contentsOf: Self.root.appending(path: "scripts/readme"), encoding: .utf8)
        let pages = try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "docs").path).filter { $0.hasSuffix(".md") }
        #expect(pages.count > 5)
        for page in pages {
            #expect(readme.contains("(docs/\(page))"), "README.md does not name docs/\(page)")
            #expect(script.contains("\"\(page.dropLast(3))\""), "scripts/readme does not run docs/\(page)")
        }
    }

    @Test func `what a killed test left is taken away by the next one`() throws {
        let folder = try TemporaryDirectory("sweep")
        // No process has a number beyond the kernel's bound.
        let names = ["sluice-test-4194399-x-AbCdEf", "sluice-test-\(getpid())-x-AbCdEf", "sluice-test-x", "other-4194399"]
        for name in names { try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: false) }
        TemporaryDirectory.sweep(folder.path)
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: folder.path)) == Set(names.dropFirst()))
    }
}
