// defines: Comparison, the head on each of several frozen nets, trained on the same images in the same order
#pragma once

#include "tools/ptrain/net_run.hpp"
#include "train/compare.hpp"

namespace ptrain::cli {

struct CompareOptions {
  TrainOptions train;                // its `fraction` is the part of the training images that is used
  std::string weights_dir, weights;  // W with W/NET.h5; for nets without a file there: "", formula, none
  std::vector<std::string> nets = {"vgg16", "mobilenet_v2", "densenet121", "inception_v3", "resnet50"};
};
void bind(Command& command, CompareOptions& options);

struct ComparedNet {
  std::string net, weights, kind, weights_sha256;  // kind: pretrained, formula, none
  std::string get;                                 // how to get the weights that are missing; "" when they are here
  int64_t parameters = 0, macs = 0;                // of the net without a head
  NetRun run;
  bool trained() const { return get.empty(); }
};

struct Comparison {
  int64_t images = 0;  // in training
  std::vector<ComparedNet> nets;
  std::vector<PairTest> pairs;  // positions count the trained nets only
  Choice choice;                // likewise
  std::vector<const ComparedNet*> trained() const;
};

// Trains in out/nets/NET. Nothing of the test part is read. Error{weights} when no net has weights.
Comparison compare(Bench& bench, const CompareOptions& options, const Split& split, const std::filesystem::path& out, bool resume);

std::string table(const Comparison&);       // for people
std::string pair_table(const Comparison&);  // likewise
nlohmann::ordered_json to_json(const Comparison&, const CompareOptions&);
void write_tables(const Comparison&, const std::filesystem::path& out);  // compare.csv, compare_pairs.csv

}  // namespace ptrain::cli
