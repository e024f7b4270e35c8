import ArgumentParser

/// `headgate command`: what people do to points, through the running gateway.
struct CommandCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "command",
        abstract: "Command a point, decide about what others ask for, see who holds what.",
        discussion: """
            Everything goes through the running gateway, under the same guards as a request that comes over MQTT, and is recorded \
            with your name and your reason. You act in the name of an issuer of the site file: --as NAME, or your user name.
            """,
        subcommands: [
            SetCommand.self, DryRunCommand.self, ReleaseCommand.self, RenewCommand.self, CancelCommand.self,
            ListCommand.self, ShowCommand.self,
            ApproveCommand.self, DenyCommand.self, ExplainCommand.self, AcknowledgeCommand.self, LaneCommand.self,
            ExportCommand.self, MetricsCommand.self,
        ],
        aliases: ["commands"])
}
