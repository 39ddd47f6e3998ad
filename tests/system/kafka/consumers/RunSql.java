import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Runs the statements of a file, and prints the rows of each. */
public class RunSql {
    public static void main(String[] args) throws Exception {
        var tables = TableEnvironment.create(EnvironmentSettings.inBatchMode());
        for (var statement : Files.readString(Path.of(args[0])).split(";\\s*(\\n|$)")) {
            if (!statement.isBlank()) {
                tables.executeSql(statement).collect().forEachRemaining(System.out::println);
            }
        }
    }
}
