// defines: write_experiment(), a small RUN folder with everything that an experiment leaves, made of simulated predictions
#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>

#include "data/csv.hpp"
#include "data/encode.hpp"
#include "kernels/philox.hpp"
#include "layers/formula.hpp"
#include "train/metrics/evaluation.hpp"
#include "train/report/page.hpp"

namespace ptrain::test {

struct Simulated {
  metrics::Predictions predictions;
  std::vector<std::string> files;
};

// Scores that separate two classes by `distance` standard deviations; two images a patient.
inline Simulated simulate(const std::vector<std::string>& classes, const std::string& part, size_t n, double distance,
                          const std::string& key) {
  Simulated s{.predictions = {.classes = classes, .labels = {}, .probabilities = {}, .patients = {}}, .files = {}};
  for (size_t i = 0; i < n; ++i) {
    const int32_t label = i % 3 == 0 ? 0 : 1;
    const double u = unit(key, 2 * i), v = unit(key, 2 * i + 1), noise = std::sqrt(-2 * std::log(u + 1e-12)) * std::cos(6.283185307 * v);
    const double p = 1 / (1 + std::exp(-(distance * (label - 0.5) * 2 + 1.6 * noise)));
    s.predictions.labels.push_back(label);
    s.predictions.probabilities.insert(s.predictions.probabilities.end(), {1 - p, p});
    s.predictions.patients.push_back(part + std::to_string(label) + "_" + std::to_string(i / 6));
    s.files.push_back(part + "/" + classes[size_t(label)] + "/film" + std::to_string(i) + ".jpeg");
  }
  return s;
}

inline void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string predictions_csv(const Simulated& s, double threshold) {
  const auto& p = s.predictions;
  std::vector<std::string> header{"file", "label", "predicted", "patient"};
  for (const std::string& c : p.classes) header.push_back("p_" + c);
  std::string csv = csv_line(header);
  for (size_t i = 0; i < p.size(); ++i) {
    std::vector<std::string> row{s.files[i], p.classes[size_t(p.labels[i])], p.classes[p.probabilities[2 * i + 1] >= threshold ? 1 : 0],
                                 p.patients[i]};
    for (size_t c = 0; c < 2; ++c) row.push_back(concat(p.probabilities[2 * i + c]));
    csv += csv_line(row);
  }
  return csv;
}

inline std::string history(const std::string& stage, int epochs, int best) {
  std::string lines;
  for (int e = 0; e < epochs; ++e)
    lines += report::Json{{"epoch", e},
                          {"stage", stage},
                          {"stage_epoch", e},
                          {"seconds", 12.5},
                          {"images_per_s", 80},
                          {"best", e <= best},
                          {"accuracy", 0.8 + 0.02 * e},
                          {"auc", 0.85 + 0.02 * e},
                          {"learning_rate", 1e-3},
                          {"loss", 0.6 / (e + 1) + 0.2},
                          {"val_accuracy", 0.85 + 0.015 * e},
                          {"val_auc", 0.9 + 0.01 * e},
                          {"val_loss", 0.5 / (e + 1) + 0.25}}
                 .dump() +
             "\n";
  return lines;
}

inline report::Json evaluation_json(const Simulated& s, double threshold) {
  return metrics::to_json(metrics::evaluate(s.predictions, {.threshold = threshold, .positive = 1, .bootstrap_replicates = 200}));
}

inline void write_experiment(const std::filesystem::path& run, const std::vector<std::string>& classes = {"NORMAL", "PNEUMONIA"},
                             bool with_test = true) {
  using report::Json;
  const Simulated val = simulate(classes, "val", 240, 2.0, "val"), other = simulate(classes, "val", 240, 1.6, "other"),
                  train = simulate(classes, "train", 300, 2.6, "train"), test = simulate(classes, "test", 180, 1.4, "test");
  const Json counts{{"n", 300}, {"patients", 150}, {"classes", {{classes[0], 100}, {classes[1], 200}}}};
  const Json audited{{"n", 300},
                     {"patients", 150},
                     {"classes", {{classes[0], {{"n", 100}, {"share", 0.3333}}}, {classes[1], {{"n", 200}, {"share", 0.6667}}}}}};
  Json all{{"schema", 1},
           {"complete", true},
           {"created", "2026-01-31T12:00:00Z"},
           {"ptrain_version", "0.1.0"},
           {"command", "ptrain experiment --data chest_xray --weights-dir weights --out run --fine-tune-augment strong"},
           {"config", {{"data", "\"chest_xray\""}, {"seed", "0"}, {"augment", "\"light\""}, {"fine-tune-lr", "1e-05"}}},
           {"device", "cpu"},
           {"threads", 2},
           {"processor", "a processor"},
           {"seconds", {{"check", 3.2}, {"compare", 340}, {"fine_tune", 161}, {"calibrate", 0.8}, {"evaluate", 12.3}, {"total", 517.3}}}};
  all["data"] = {{"root", "chest_xray"},
                 {"classes", classes},
                 {"positive", classes[1]},
                 {"data_hash", std::string(64, 'a')},
                 {"notes", {"val has 16 images and is pooled with train"}},
                 {"parts", {{"train", counts}, {"val", counts}, {"test", counts}}}};
  const auto feature = [](double mean) { return Json{{"mean", mean}, {"sd", mean / 7}}; };
  const Json statistics{{"height", feature(970.2)}, {"width", feature(1320.5)}, {"aspect", feature(1.41)},
                        {"mean", feature(122.7)},   {"sd", feature(56.2)},      {"border", feature(31)}};
  all["audit"] = {{"images", 900},
                  {"bad", Json::array()},
                  {"classes", classes},
                  {"parts", {{"train", audited}}},
                  {"types", {{"JPEG", 900}}},
                  {"mislabelled", Json::array()},
                  {"odd", Json::array()},
                  {"duplicates", {{{"a", "train/" + classes[0] + "/a.jpeg"}, {"b", "train/" + classes[0] + "/b.jpeg"}, {"across", ""}}}},
                  {"near_duplicates", Json::array()},
                  {"patients_across", {{{"patient", "person12"}, {"parts", {"train", "val"}}}}},
                  {"statistics", {{classes[0], statistics}, {classes[1], statistics}}},
                  {"shortcut",
                   {{"auc", 0.871},
                    {"auc_ci95", {0.842, 0.899}},
                    {"n", 300},
                    {"folds", 5},
                    {"weights", {{"height", -0.8}, {"width", 0.3}, {"aspect", 1.4}, {"mean", -0.2}}}}},
                  {"notes", {"image size alone tells the classes apart with an AUC of 0.871"}},
                  {"leaks", Json::array()}};
  const auto net = [&](const char* name, const Simulated& v, const char* kind, int64_t parameters, int64_t macs) {
    return Json{{"net", name},
                {"status", "trained"},
                {"kind", kind},
                {"weights", "w.h5"},
                {"weights_sha256", std::string(64, 'b')},
                {"folder", std::string("nets/") + name},
                {"parameters", parameters},
                {"macs", macs},
                {"trained_parameters", 361090},
                {"epochs", 6},
                {"best_epoch", 4},
                {"seconds", 75.5},
                {"images_per_s", 83.2},
                {"peak_mb", 512},
                {"train", evaluation_json(train, 0.5)},
                {"val", evaluation_json(v, 0.5)}};
  };
  all["compare"] = {{"fraction", 0.5},
                    {"images", 150},
                    {"monitor", "val_loss"},
                    {"nets",
                     {net("mobilenet_v2", val, "pretrained", 2619074, 300774272),
                      net("vgg16", other, "pretrained", 14879298, 15346630656),
                      net("resnet50", other, "formula", 24145794, 3857973248),
                      {{"net", "densenet121"},
                       {"status", "missing"},
                       {"get", "ptrain-convert densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5 --out weights/densenet121.h5"}}}},
                    {"pairs",
                     {{{"a", "mobilenet_v2"},
                       {"b", "vgg16"},
                       {"auc_difference", 0.0231},
                       {"auc_difference_ci95", {0.004, 0.042}},
                       {"delong_p", 0.0171},
                       {"delong_p_holm", 0.0342},
                       {"accuracy_difference", 0.0125},
                       {"mcnemar_p", 0.41},
                       {"mcnemar_p_holm", 0.82}},
                      {{"a", "mobilenet_v2"},
                       {"b", "resnet50"},
                       {"auc_difference", 0.012},
                       {"auc_difference_ci95", {-0.01, 0.034}},
                       {"delong_p", 0.29},
                       {"delong_p_holm", 0.29},
                       {"accuracy_difference", 0.004},
                       {"mcnemar_p", 0.9},
                       {"mcnemar_p_holm", 0.9}}}}};
  all["choice"] = {{"net", "mobilenet_v2"},
                   {"why", "the highest validation AUC; resnet50 cannot be told apart and needs more multiply-adds"},
                   {"tied", {"mobilenet_v2", "resnet50"}}};
  all["fine_tune"] = {{"folder", "fine_tune"},
                      {"unfrozen_from", "block_12_expand"},
                      {"layers", 46},
                      {"augment", "strong"},
                      {"epochs", 5},
                      {"best_epoch", 3},
                      {"before", evaluation_json(other, 0.5)},
                      {"after", evaluation_json(val, 0.5)},
                      {"auc_difference", 0.0231},
                      {"auc_difference_ci95", {0.004, 0.042}},
                      {"delong_p", 0.017},
                      {"rail",
                       {{"auc_before", 0.9312},
                        {"auc_after", 0.9543},
                        {"auc_holds", true},
                        {"log_loss_before", 0.2711},
                        {"log_loss_after", 0.2302},
                        {"log_loss_difference", -0.0409},
                        {"log_loss_standard_error", 0.0123},
                        {"patients", 120},
                        {"log_loss_holds", true}}},
                      {"kept", true},
                      {"why", "it is not worse on the validation part"}};
  all["calibration"] = {{"temperature", 1.27}, {"nll_before", 0.2412},        {"nll_after", 0.2302}, {"ece_before", 0.041},
                        {"ece_after", 0.022},  {"operating_point", "youden"}, {"threshold", 0.4173}, {"prior_shift", nullptr}};
  all["validation"] = evaluation_json(val, 0.4173);
  all["test"] = with_test ? evaluation_json(test, 0.4173) : Json(nullptr);
  if (!with_test) all["data"]["parts"].erase("test");
  all["test_note"] = with_test ? "The test part was evaluated once." : "The data have no test part.";
  if (with_test)
    all["ledger"] = {{{"time", "2026-01-31T12:00:00Z"},
                      {"part", "test"},
                      {"model_sha256", std::string(64, 'c')},
                      {"data_hash", std::string(64, 'd')},
                      {"n", 180},
                      {"auc", all["test"]["auc"]},
                      {"accuracy", all["test"]["accuracy"]}}};
  all["hashes"] = {{"best.h5", std::string(64, 'c')}};
  write(run / "report.json", all.dump(1));
  write(run / "nets/mobilenet_v2/metrics.jsonl", history("frozen", 6, 4));
  write(run / "fine_tune/metrics.jsonl", history("fine-tune", 5, 3));
  write(run / "predictions_val.csv", predictions_csv(val, 0.4173));
  if (with_test) write(run / "predictions_test.csv", predictions_csv(test, 0.4173));
}

inline report::Pictures simulated_pictures(const std::string& of_class = "PNEUMONIA") {
  report::Pictures p;
  p.augmentation = "strong";
  const auto film = [](const std::string& key) { return encode_jpeg({96, 96, 1, formula_picture(96, 96, key, 1)}); };
  for (const char* key : {"a", "b"})
    p.augmented.push_back(
        {.file = std::string("train/") + key + ".jpeg", .of_class = of_class, .jpegs = std::vector<std::vector<uint8_t>>(7, film(key))});
  for (int i = 0; i < 4; ++i)
    p.mistakes.push_back({.file = "test/film" + std::to_string(i) + ".jpeg",
                          .part = "test",
                          .patient = "person" + std::to_string(i),
                          .label = "NORMAL",
                          .decided = of_class,
                          .probability = 0.97 - 0.05 * i,
                          .film = film("c"),
                          .overlay = film("d")});
  return p;
}

}  // namespace ptrain::test
