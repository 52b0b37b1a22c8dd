// `sluice new my-job`: an empty folder becomes a package with a job of its own (`NewPackage`).
//
// Nothing that is there is ever overwritten: the folder must be missing or empty. The package depends by path on the one
// that this binary was built from, which is found by walking up from the binary; a binary that was moved away from there
// must be told with --sluice.

import Engine
import Foundation

enum NewCommand {
    static let command = Command(
        "new", .tools, summary: "begin a package with a job of your own",
        about: """
            Makes the folder NAME with a Swift package that depends on sluice and holds one job in a page. Built, it is a whole \
            sluice with that job. The folder must be missing or empty.
            """,
        positionals: [Positional("NAME", help: "the job's name, such as my-job; also the folder's")],
        options: [
            Option("sluice", .file, valueName: "FOLDER", help: "the folder of sluice's package, when it is not found by itself")
        ],
        examples: [Command.Example("sluice new my-job", "makes my-job/, ready for `swift build`")],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let name = parsed.required("NAME")
        let package = try NewPackage(name: name, sluicePath: sluiceFolder(parsed.text("sluice")))
        try write(package, to: name)
        try terminal.line("made \(name)/ with \(package.files.map(\.path).joined(separator: ", "))")
        try terminal.line("next: cd \(name) && swift build -c release; README.md says how to run it")
        return 0
    }

    static func write(_ package: NewPackage, to folder: String) throws {
        let files = FileManager.default
        var isFolder: ObjCBool = false
        if files.fileExists(atPath: folder, isDirectory: &isFolder) {
            let isEmpty = try isFolder.boolValue && files.contentsOfDirectory(atPath: folder).isEmpty
            guard isEmpty else {
                throw Failure(
                    .notPossible, "\(folder) is already there", why: "it is not an empty folder, and nothing is overwritten",
                    now: "choose another name, or move it away")
            }
        }
        do {
            for file in package.files {
                let path = folder + "/" + file.path
                try files.createDirectory(
                    atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: URL(filePath: path))
            }
        } catch {
            throw Failure(
                .notAllowed, "\(folder) cannot be written", why: (error as NSError).localizedDescription,
                now: "check that this user may write here and that there is space")
        }
    }

    private static func sluiceFolder(_ named: String?) throws -> String {
        if let named {
            let folder = URL(filePath: named).standardizedFileURL.path
            guard isSluice(folder) else {
                throw Failure(
                    .fileMissing, "\(named) is not sluice's package", why: "it has no Package.swift of that name",
                    now: "name the folder that sluice was cloned into")
            }
            return folder
        }
        var folder = (ThisProgram.path as NSString).deletingLastPathComponent
        while folder != "/" && !folder.isEmpty {
            if isSluice(folder) { return folder }
            folder = (folder as NSString).deletingLastPathComponent
        }
        throw Failure(
            .fileMissing, "sluice's own package was not found", why: "it is in no folder above \(ThisProgram.path)",
            now: "name it with --sluice FOLDER, the folder that sluice was cloned into")
    }

    /// Whether the folder holds the package that this program is built from.
    static func isSluice(_ folder: String) -> Bool {
        guard let data = FileManager.default.contents(atPath: folder + "/Package.swift") else { return false }
        let manifest = String(decoding: data, as: UTF8.self)
        // A package made by this command names sluice too, but only sluice has the library.
        return manifest.contains("name: \"sluice\"") && manifest.contains(".library(name: \"Sluice\"")
    }
}
