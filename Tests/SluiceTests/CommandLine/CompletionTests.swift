// Completion scripts know what the declarations know; the one for bash is asked by a real bash.

import Foundation
import Sluice
import Testing

@Suite struct `Completion` {
    private func script(_ shell: String) -> String {
        let captured = Captured()
        #expect(program.main(["completion", shell], terminal: captured.terminal) == 0)
        return captured.outputText
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func `knows every command and every option`(_ shell: String) {
        let script = script(shell)
        for command in program.commands {
            for word in command.name.split(separator: " ") { #expect(script.contains(word)) }
            let options = command.allOptions.map(\.name)
            let settings = command.settingKeys.filter { $0 != .kafka }.map { String($0.flag.dropFirst(2)) }
            for option in options + settings {
                #expect(
                    script.contains(shell == "fish" ? "-l \(option)" : "--\(option)"), "\(command.name) --\(option)")
            }
        }
    }

    @Test(arguments: [
        (["ru"], ["run"]), (["jobs", "s"], ["show", "stop"]), (["run", "--max"], ["--max-batch-records"]),
        (["run", "views", "--until"], ["--until-caught-up"]), (["jobs", "show", "--format", ""], ["avro", "json"]),
        (["jobs", "show", "--fo"], ["--format"]), (["completion", "z"], ["zsh"]),
        (["run", "--sink", "con"], ["console:"]),
        (["settings", "--y"], ["--yaml"]),
    ])
    func `offers in bash what fits the words so far`(_ words: [String], _ offered: [String]) throws {
        let quoted = (["sluice"] + words).map { "'\($0)'" }.joined(separator: " ")
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = [
            "--norc", "-c",
            script("bash")
                + "\nCOMP_WORDS=(\(quoted)); COMP_CWORD=\(words.count); _sluice; printf '%s\\n' \"${COMPREPLY[@]}\"",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(text.split(separator: "\n").map(String.init) == offered)
    }
}
