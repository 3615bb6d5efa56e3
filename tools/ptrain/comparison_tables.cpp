// How a comparison is shown: text, CSV, JSON.
#include <cmath>

#include "data/csv.hpp"
#include "data/file.hpp"
#include "tools/ptrain/comparison.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kShown[] = {"accuracy", "auc", "sensitivity", "specificity"};

// At threshold 0.5, which is the same for all nets; of more than two classes means over classes.
metrics::Metric shown(const metrics::Evaluation& e, const std::string& name) {
  if (e.binary())
    for (const metrics::Metric& m : e.plain.metrics)
      if (m.name == name) return m;
  return e.metric(!e.binary() && name == "sensitivity" ? "balanced_accuracy" : name);
}

std::string cell(const metrics::Metric& m) {
  if (std::isnan(m.value)) return "undefined";
  return std::isnan(m.ci95.low) ? fmt::format("{:.3f}", m.value) : fmt::format("{:.3f} [{:.3f}, {:.3f}]", m.value, m.ci95.low, m.ci95.high);
}

std::string number(double x) { return std::isfinite(x) ? fmt::format("{}", x) : ""; }
Json json(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }
std::string p_text(double p) { return std::isnan(p) ? "-" : p < 0.0001 ? "<0.0001" : fmt::format("{:.4f}", p); }

void write(const std::filesystem::path& path, const std::vector<CsvRow>& rows) {
  AtomicFile file(path);
  for (const CsvRow& row : rows) file.write(csv_line(row));
  file.commit();
}

}  // namespace

std::string table(const Comparison& c) {
  std::string text = fmt::format("{:<14}{:<12}{:<22}{:<22}{:<22}{:<22}{:<22}\n", "net", "weights", "training accuracy", "accuracy", "AUC",
                                 "sensitivity", "specificity");
  for (const ComparedNet& n : c.nets) {
    text += fmt::format("{:<14}{:<12}", n.net, n.trained() ? n.kind : "missing");
    if (!n.trained()) {
      text += "get them with: " + n.get + "\n";
      continue;
    }
    text += fmt::format("{:<22}", cell(shown(n.run.train_evaluation, "accuracy")));
    for (const char* name : kShown) text += fmt::format("{:<22}", cell(shown(n.run.val_evaluation, name)));
    text += "\n";
  }
  text += fmt::format("\n{:<14}{:>12}{:>10}{:>9}{:>7}{:>11}{:>11}{:>10}\n", "net", "parameters", "MMACs", "epochs", "best", "seconds",
                      "images/s", "peak MiB");
  for (const ComparedNet& n : c.nets)
    if (n.trained())
      text += fmt::format("{:<14}{:>12}{:>10.0f}{:>9}{:>7}{:>11.1f}{:>11.1f}{:>10}\n", n.net, n.parameters, double(n.macs) / 1e6,
                          n.run.epochs, n.run.best_epoch, n.run.seconds, n.run.images_per_s, n.run.peak_mb);
  return text + "validation unless it says training; at threshold 0.5; in brackets 95 % intervals (proportions: Wilson, AUC: DeLong)\n";
}

std::string pair_table(const Comparison& c) {
  const auto nets = c.trained();
  if (c.pairs.empty()) return "";
  std::string text =
      fmt::format("{:<30}{:>10}{:>20}{:>10}{:>10}{:>12}{:>10}{:>10}\n", "difference", "AUC", "95 %", "p", "Holm", "accuracy", "p", "Holm");
  for (const PairTest& t : c.pairs) {
    const std::string interval = std::isnan(t.auc.ci.low) ? "" : fmt::format("[{:+.4f}, {:+.4f}]", t.auc.ci.low, t.auc.ci.high);
    text +=
        fmt::format("{:<30}{:>10}{:>20}{:>10}{:>10}{:>12}{:>10}{:>10}\n", nets[t.a]->net + " - " + nets[t.b]->net,
                    std::isnan(t.auc.difference) ? "-" : fmt::format("{:+.4f}", t.auc.difference), interval, p_text(t.auc.p),
                    p_text(t.auc_holm), fmt::format("{:+.4f}", t.accuracy_difference), p_text(t.decisions.mid_p), p_text(t.decisions_holm));
  }
  int real = 0;
  for (const PairTest& t : c.pairs) real += t.auc_holm < 0.05;
  return text + fmt::format(
                    "AUC: DeLong's paired test; accuracy: McNemar's mid-p test; both with Holm's correction. {} of {} differences of the "
                    "AUC are real at 5 %\n",
                    real, c.pairs.size());
}

Json to_json(const Comparison& c, const CompareOptions& o) {
  Json nets = Json::array(), pairs = Json::array();
  for (const ComparedNet& n : c.nets) {
    Json j{{"net", n.net},
           {"status", n.trained() ? "trained" : "missing"},
           {"kind", n.kind},
           {"weights", n.weights},
           {"weights_sha256", n.weights_sha256},
           {"parameters", n.parameters},
           {"macs", n.macs}};
    if (n.trained()) {
      const NetRun& r = n.run;
      j.update({{"folder", std::string(report_files::kNets) + "/" + n.net},
                {"trained_parameters", r.trained_parameters},
                {"epochs", r.epochs},
                {"best_epoch", r.best_epoch},
                {"seconds", r.seconds},
                {"images_per_s", r.images_per_s},
                {"peak_mb", r.peak_mb},
                {"train", metrics::to_json(r.train_evaluation)},
                {"val", metrics::to_json(r.val_evaluation)}});
    } else j["get"] = n.get;
    nets.push_back(std::move(j));
  }
  const auto trained = c.trained();
  for (const PairTest& t : c.pairs)
    pairs.push_back({{"a", trained[t.a]->net},
                     {"b", trained[t.b]->net},
                     {"auc_difference", json(t.auc.difference)},
                     {"auc_difference_ci95", metrics::to_json(t.auc.ci)},
                     {"delong_p", json(t.auc.p)},
                     {"delong_p_holm", json(t.auc_holm)},
                     {"accuracy_difference", t.accuracy_difference},
                     {"mcnemar_p", t.decisions.mid_p},
                     {"mcnemar_p_holm", json(t.decisions_holm)}});
  return {{"fraction", o.train.fraction}, {"images", c.images}, {"monitor", o.train.monitor}, {"nets", nets}, {"pairs", pairs}};
}

void write_tables(const Comparison& c, const std::filesystem::path& out) {
  CsvRow titles{"net", "status", "weights", "kind", "parameters", "macs", "epochs", "best_epoch", "seconds", "images_per_s", "peak_mb"};
  for (const char* part : {"train_", "val_"})
    for (const std::string name : kShown) titles.insert(titles.end(), {part + name, part + name + "_low", part + name + "_high"});
  std::vector<CsvRow> rows{titles};
  for (const ComparedNet& n : c.nets) {
    CsvRow row{n.net, n.trained() ? "trained" : "missing", n.weights, n.kind, fmt::format("{}", n.parameters), fmt::format("{}", n.macs)};
    if (n.trained()) {
      const NetRun& r = n.run;
      row.insert(row.end(), {fmt::format("{}", r.epochs), fmt::format("{}", r.best_epoch), number(r.seconds), number(r.images_per_s),
                             fmt::format("{}", r.peak_mb)});
      for (const metrics::Evaluation* e : {&r.train_evaluation, &r.val_evaluation})
        for (const char* name : kShown) {
          const metrics::Metric m = shown(*e, name);
          row.insert(row.end(), {number(m.value), number(m.ci95.low), number(m.ci95.high)});
        }
    }
    row.resize(titles.size());
    rows.push_back(std::move(row));
  }
  write(out / report_files::kCompare, rows);

  std::vector<CsvRow> pairs{{"a", "b", "auc_difference", "auc_difference_low", "auc_difference_high", "delong_p", "delong_p_holm",
                             "accuracy_difference", "mcnemar_p", "mcnemar_p_holm"}};
  const auto trained = c.trained();
  for (const PairTest& t : c.pairs)
    pairs.push_back({trained[t.a]->net, trained[t.b]->net, number(t.auc.difference), number(t.auc.ci.low), number(t.auc.ci.high),
                     number(t.auc.p), number(t.auc_holm), number(t.accuracy_difference), number(t.decisions.mid_p),
                     number(t.decisions_holm)});
  write(out / report_files::kPairs, pairs);
}

}  // namespace ptrain::cli
