// The main job as a user runs it, on a handful of films at 64×64.
#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("train evaluate and predict do the whole job") {
  const TempDir temp;
  make_data(temp / "data", 12);
  const std::string out = (temp / "run").string(), data = (temp / "data").string(), model = out + "/best.h5";
  const Finished trained = run_ptrain(quick_training(data, out, {"--json"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const nlohmann::json result = nlohmann::json::parse(trained.out);
  CHECK(result["model"] == model);
  CHECK(result["validation"]["n"] == 4);
  for (const char* file : {"best.h5", "last.h5", "history.csv", "metrics.jsonl", "resolved.toml", "split.csv", "log.txt"})
    CHECK(std::filesystem::exists(temp / "run" / file));

  const std::vector<std::string> history = lines_of(temp / "run" / "history.csv");
  CHECK(history.size() == 4);  // a title and three epochs
  CHECK(history[0] == "epoch,accuracy,auc,learning_rate,loss,val_accuracy,val_auc,val_loss\r");
  CHECK(lines_of(temp / "run" / "metrics.jsonl").size() == 3);
  CHECK(nlohmann::json::parse(lines_of(temp / "run" / "metrics.jsonl")[2])["stage"] == "fine-tune");
  CHECK(lines_of(temp / "run" / "split.csv").size() == 25);
  CHECK(lines_of(temp / "run" / "split.csv")[0] == "file,label,patient,part");

  const Finished first = run_ptrain({"evaluate", "--model", model, "--data", data, "--json", "--quiet", "--predictions", out + "/p.csv"});
  INFO(first.err);
  REQUIRE(first.code == 0);
  const nlohmann::json e = nlohmann::json::parse(first.out);
  CHECK(e["n"] == 24);
  for (const char* key : {"accuracy", "auc", "sensitivity", "specificity", "precision", "f1", "confusion", "threshold"})
    CHECK(e.contains(key));
  for (const char* key : {"accuracy_ci95", "sensitivity_ci95", "specificity_ci95", "auc_ci95"}) CHECK(e[key].size() == 2);
  CHECK(e["threshold"] == result["threshold"]);
  CHECK(lines_of(out + "/p.csv").size() == 25);
  CHECK(run_ptrain({"evaluate", "--model", model, "--data", data, "--part", "val", "--split", out + "/split.csv", "--quiet"}).code == 0);
  CHECK(lines_of(out + "/best.ledger.jsonl").size() == 2);  // each use is a line
  CHECK(nlohmann::json::parse(lines_of(out + "/best.ledger.jsonl")[0])["accuracy"] == e["accuracy"]);

  const Finished predicted = run_ptrain({"predict", "--model", model, data, "--csv"});
  INFO(predicted.err);
  REQUIRE(predicted.code == 0);
  std::istringstream rows(predicted.out);
  std::string title;
  std::getline(rows, title);
  CHECK(title.starts_with("path,class,NORMAL,PNEUMONIA"));
  CHECK(std::count(predicted.out.begin(), predicted.out.end(), '\n') == 25);
  const Finished json = run_ptrain({"predict", "--model", model, data + "/NORMAL", "--json"});
  CHECK(nlohmann::json::parse(json.out)[0]["probabilities"].contains("NORMAL"));
}

TEST_CASE("two epochs of each stage give the same bytes for 1 2 3 and 8 threads") {
  const TempDir temp;
  make_data(temp / "data", 8);
  std::vector<float> one, last;
  for (const char* threads : {"1", "2", "3", "8"}) {
    const std::filesystem::path out = temp / threads;
    REQUIRE(run_ptrain(quick_training(temp / "data", out,
                                      {"--threads", threads, "--augment", "strong", "--fine-tune-epochs", "2", "--patience", "9"}))
                .code == 0);
    if (one.empty()) one = weights_of(out / "best.h5"), last = weights_of(out / "last.h5");
    CHECK(weights_of(out / "best.h5") == one);
    CHECK(weights_of(out / "last.h5") == last);  // with the optimizer's state
  }
  REQUIRE(run_ptrain(quick_training(temp / "data", temp / "seed", {"--seed", "1", "--augment", "strong"})).code == 0);
  CHECK(weights_of(temp / "seed/best.h5") != one);
}

TEST_CASE("a configuration file stands behind the command line") {
  const TempDir temp;
  make_data(temp / "data", 6);
  write_file(temp / "run.toml", "epochs = 1\nfine-tune-epochs = 0\naugment = \"none\"\ndense = [16]\ndropout = [0.0]\nl2 = 0.0\n");
  const Finished f = run_ptrain(quick_training(temp / "data", temp / "run", {"--config", (temp / "run.toml").string()}));
  INFO(f.err);
  REQUIRE(f.code == 0);
  const std::string resolved = read_file(temp / "run/resolved.toml");
  CHECK(resolved.find("epochs = 2\n") != std::string::npos);  // the command line wins
  CHECK(resolved.find("dense = [16]\n") != std::string::npos);
  CHECK(WeightFileReader(temp / "run/best.h5").attributes().contains("config"));
}

TEST_CASE("three classes train and evaluate") {
  const TempDir temp;
  make_data(temp / "data", 6);
  std::filesystem::create_directories(temp / "data/OTHER");
  int i = 0;
  for (const auto& file : std::filesystem::directory_iterator(temp / "data/NORMAL"))
    std::filesystem::copy_file(file.path(), temp / "data/OTHER" / concat("x", ++i, ".jpeg"));
  REQUIRE(run_ptrain(quick_training(temp / "data", temp / "run")).code == 0);
  const Finished f =
      run_ptrain({"evaluate", "--model", (temp / "run/best.h5").string(), "--data", (temp / "data").string(), "--json", "--quiet"});
  INFO(f.err);
  REQUIRE(f.code == 0);
  CHECK(nlohmann::json::parse(f.out)["per_class"].size() == 3);
}
