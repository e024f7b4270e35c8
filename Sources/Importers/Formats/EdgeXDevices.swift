import Model

/// A device list of EdgeX, in YAML or TOML.
struct EdgeXDevices {
    let reporter: Reporter

    /// Devices of other profiles are passed over.
    func add(_ file: ImportFile, profile: String, to draft: inout Draft) throws(ImportError) {
        let root = file.name.lowercased().hasSuffix(".toml") ? try file.toml() : try file.yaml()
        let devices = (root["deviceList"] ?? root["DeviceList"])?.items ?? []
        guard !devices.isEmpty else { throw ImportError(root, "has no 'deviceList'") }
        for device in devices {
            let name = Self.member(device, "name")?.words ?? "device"
            guard Self.member(device, "profileName")?.words == profile else {
                reporter.ignored(name, in: device, because: "a device of another profile")
                continue
            }
            add(device, name, to: &draft)
        }
    }

    /// The lists of earlier versions begin their keys with capitals.
    private static func member(_ node: SourceNode, _ key: String) -> SourceNode? {
        node.members.first { $0.key.lowercased() == key.lowercased() }.map(\.value)
    }

    private func add(_ device: SourceNode, _ name: String, to draft: inout Draft) {
        let protocols = Self.member(device, "protocols")
        let channel: DraftConnection.Channel?
        let settings: SourceNode
        if let tcp = protocols?["modbus-tcp"] {
            settings = tcp
            channel = .tcp(host: reporter.host(tcp["Address"], in: tcp), port: reporter.port(tcp["Port"], in: tcp))
        } else if let rtu = protocols?["modbus-rtu"] {
            settings = rtu
            channel = reporter.serial(
                path: rtu["Address"], baud: rtu["BaudRate"], bits: rtu["DataBits"], parity: rtu["Parity"],
                stop: rtu["StopBits"], in: rtu)
        } else {
            reporter.leftOut(device, "'\(name)' has neither modbus-tcp nor modbus-rtu; the device is left out")
            return
        }
        guard let channel else { return }
        var connection = DraftConnection(title: name, node: settings, channel: channel)
        connection.timeout = settings["Timeout"]?.seconds
        let link = draft.connect(connection)
        let isSerial = if case .tcp = channel { false } else { true }
        let unit = reporter.unit(settings["UnitID"], isSerial: isSerial, in: settings)
        guard !draft.devices.contains(where: { $0.connection == link && $0.unit == unit }) else {
            reporter.leftOut(device, "'\(name)' is another device at the same unit; the device is left out")
            return
        }
        draft.devices.append(DraftDevice(title: name, node: device, profile: 0, connection: link, unit: unit))
        for event in Self.member(device, "autoEvents")?.items ?? [] {
            reporter.ignored(
                "autoEvents", in: event,
                because: "points are polled each second; say 'every' for the device or its points")
        }
    }
}
