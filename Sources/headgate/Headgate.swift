import ArgumentParser
import Gateway

@main
struct Headgate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "headgate",
        abstract: "The gateway between a plant's Modbus devices and MQTT: nothing lost on the way.",
        discussion: """
            Start here:
              headgate demo                   a simulated plant, a private broker and the gateway, nothing to configure
              headgate check --config FILE    what is wrong with a site file, what will be polled, how busy each bus is
              headgate run --config FILE      the gateway

            Exit codes: 0 done, 1 the input or a device is at fault (stderr says where), 64 wrong usage; profile import: 2 done, with \
            something left out.
            Data goes to stdout, everything else to stderr.
            """,
        version: headgateVersion,
        subcommands: [
            RunCommand.self, CheckCommand.self, DemoCommand.self, ReadCommand.self, DevicesCommand.self,
            ScanCommand.self, ProbeCommand.self, TraceCommand.self,
            SimulateCommand.self,
            ProfileCommand.self,
            JournalCommand.self, CommandCommand.self, LockoutCommand.self, KeysCommand.self, AuditCommand.self,
        ])
}
