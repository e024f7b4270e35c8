import Foundation
import Model

/// The definitions of SunSpec models in the folders of a library: `sunspec/models/*.yaml`. Of two for one number the first
/// folder's counts.
final class SunSpecModels {
    private let folders: [String]
    private var models: [SunSpecModel]?

    /// Where the files lie in a folder of profiles; they are no profiles themselves.
    static let folder = "sunspec/models"

    init(folders: [String]) {
        self.folders = folders
    }

    /// The models that are defined, with what is wrong with their files.
    func all(_ problems: ProblemList) -> [SunSpecModel] {
        if let models { return models }
        var found: [SunSpecModel] = []
        for folder in folders.map({ $0 + "/" + Self.folder }) {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            for name in names.sorted() where name.hasSuffix(".yaml") {
                guard let file = YAMLFile(path: folder + "/" + name, problems: problems) else { continue }
                SunSpecModelParser(problems: problems).parse(file).map { found.append($0) }
            }
        }
        models = found
        return found
    }

    /// What a profile wants: `sunspec: [1, 103, 160]`.
    func selection(_ field: Field, every: Field?, _ problems: ProblemList) -> SunSpecSelection? {
        let models = all(problems)
        let known = models.flatMap(\.ids).sorted()
        var wanted: [UInt16] = []
        for item in field.list(allowed: "numbers of models") ?? [] {
            guard let number = item.integer(in: 1...65_534).map({ UInt16($0) }) else { continue }
            guard known.contains(number) else {
                item.fail(
                    "no model \(number) is defined; there are: \(known.map(String.init).joined(separator: ", ")); others can be added in a folder \(Self.folder) beside the profiles"
                )
                continue
            }
            if wanted.contains(number) { item.fail("model \(number) is there twice") } else { wanted.append(number) }
        }
        guard !wanted.isEmpty else {
            field.fail("sunspec needs numbers of models, such as [1, 103, 160]")
            return nil
        }
        let selection = SunSpecSelection(
            wanted: wanted, models: models.filter { model in model.ids.contains { wanted.contains($0) } })
        return every?.duration(in: PointLayers.periods).map { selection.polled(every: $0) } ?? selection
    }
}

/// Reads the file of one model. Its points have the keys that points of profiles have; addresses count from the model.
struct SunSpecModelParser {
    let problems: ProblemList

    private static let keys = [
        "models", "prefix", "title", "length", "source", "defaults", "points", "repeat",
    ]
    private static let defaultKeys = ["table", "type", "every"]

    func parse(_ file: YAMLFile) -> SunSpecModel? {
        let root = Field(name: "the model", node: file.root, file: file.path, problems: problems)
        guard let fields = root.fields(Self.keys, required: ["models", "prefix", "title", "length", "source"]),
            let prefix = fields["prefix"]?.identifier(), let length = fields["length"]?.integer(in: 0...65_000)
        else { return nil }
        let ids = (fields["models"]?.list(allowed: "numbers") ?? []).compactMap { $0.integer(in: 1...65_534) }
        let defaults = (fields["defaults"]?.fields(Self.defaultKeys)?.byKey ?? [:]).mapValues(\.asDefault)
        let single = layers(fields["points"], defaults)
        var model = SunSpecModel(
            ids: ids.map { UInt16($0) }, prefix: prefix, length: length,
            points: PointList(problems: problems).parse(single).map(\.withAbsence), ownPeriods: ownPeriods(single))
        if let repeated = fields["repeat"] { self.repeated(repeated, defaults, scales: single, &model) }
        return model
    }

    private func repeated(
        _ field: Field, _ defaults: [String: Field], scales: [PointLayers], _ model: inout SunSpecModel
    ) {
        guard let fields = field.fields(["address", "stride", "points"], required: ["address", "stride", "points"]),
            let start = fields["address"]?.integer(in: 2...65_000), let stride = fields["stride"]?.integer(in: 1...1000)
        else { return }
        let layers = layers(fields["points"], defaults)
        let points = layers.compactMap { PointParser(layers: $0, problems: problems).parse() }
        for point in points {
            guard let scale = point.scaleReference?.point, !scales.contains(where: { $0.name == scale }) else {
                continue
            }
            field.fail("\(point.name): scale_from names no point '\(scale)' of the model")
        }
        model.repeated = SunSpecModel.Repeat(start: start, stride: stride, points: points.map(\.withAbsence))
        model.ownPeriods.formUnion(ownPeriods(layers))
    }

    private func layers(_ field: Field?, _ defaults: [String: Field]) -> [PointLayers] {
        (field?.members(allowed: "point: {…}") ?? []).compactMap { name, keyField, value in
            guard keyField.identifier(name) != nil, let own = value.fields(PointLayers.keys)?.byKey else { return nil }
            return PointLayers(name: name, place: keyField.place, fields: defaults.merging(own) { $1 })
        }
    }

    private func ownPeriods(_ layers: [PointLayers]) -> Set<String> {
        Set(layers.filter { !$0.hasDefaultPeriod }.map(\.name))
    }
}

extension Point {
    /// In all models the pattern that is no value says that the device does not have the point.
    fileprivate var withAbsence: Point {
        var point = self
        point.encoding.sentinelReason = .notImplemented
        return point
    }
}
