import ArgumentParser
import Gateway
import Model

/// Which gateway: the one of a site file, or of a state folder.
struct StateOption: ParsableArguments {
    @OptionGroup var site: SiteOption

    @Option(help: "State folder, when there is no site file to name it.")
    var state: String?

    /// The names of codes, which only the site file knows.
    func labels() throws -> PointLabels {
        if state != nil {
            throw ValidationError("--labels needs the site file: name it with --config instead of --state")
        }
        return PointLabels(try site.site())
    }

    /// The state folder; where a site file says them, the limits of the buffer and the gateway's id.
    func folder() throws -> (path: String, settings: BufferSettings?, gateway: String?) {
        if let state { return (state, nil, nil) }
        let (gateway, site) = try site.runningGateway()
        return (gateway.stateFolder, site?.buffer, gateway.id)
    }
}
