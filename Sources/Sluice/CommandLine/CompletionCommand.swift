// `sluice completion`: prints the script by which a shell completes commands, options and values.

enum CompletionCommand {
    /// - Parameter listed: every other command.
    static func command(completing listed: [Command]) -> Command {
        let declaration = Command(
            "completion", .about, summary: "print a completion script for a shell",
            about: "Prints a script that teaches a shell the commands, options and values of this very build.",
            positionals: [Positional("SHELL", choices: ["bash", "zsh", "fish"], help: "the shell to print for")],
            examples: [
                Command.Example("source <(sluice completion bash)", "completes in this shell (zsh alike)"),
                Command.Example(
                    "sluice completion fish > ~/.config/fish/completions/sluice.fish", "completes in fish from now on"),
            ],
            run: { _, _ in 0 })
        var command = declaration
        command.run = { parsed, terminal in
            let script = CompletionScript(commands: listed + [declaration])
            switch parsed.required("SHELL") {
            case "zsh": try terminal.text(script.zsh)
            case "fish": try terminal.text(script.fish)
            default: try terminal.text(script.bash)
            }
            return 0
        }
        return command
    }
}
