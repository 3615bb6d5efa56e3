// defines: the names of the files in a folder that `ptrain experiment` fills and `ptrain report` reads. docs/report.md describes them.
#pragma once

namespace ptrain::report_files {

inline constexpr int kSchema = 1;  // "schema" of report.json; raised when a reader of the older one would go wrong

inline constexpr const char* kJson = "report.json";                // everything that was found, in one document
inline constexpr const char* kSplit = "split.csv";                 // file,label,patient,part
inline constexpr const char* kCompare = "compare.csv";             // one row a net
inline constexpr const char* kPairs = "compare_pairs.csv";         // one row a pair of nets
inline constexpr const char* kModel = "best.h5";                   // the model that was chosen, calibrated
inline constexpr const char* kLedger = "best.ledger.jsonl";        // one line for each use of the test part
inline constexpr const char* kValidation = "predictions_val.csv";  // of best.h5: file,label,predicted,patient,p_CLASS…
inline constexpr const char* kTest = "predictions_test.csv";       // the same for the test part; absent when there is none
inline constexpr const char* kNets = "nets";                       // nets/NET/: the head on each frozen net, files of `ptrain train`
inline constexpr const char* kFineTune = "fine_tune";              // the same for the fine-tuning

}  // namespace ptrain::report_files
